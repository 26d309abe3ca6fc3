"""Small fits that several layers share: logistic functions and probability cuts."""
