"""Small fits that several rooms share: logistic functions and cuts."""
