"""The case review in the browser: Streamlit pages, and the worker that runs the cases."""
