"""What people see: Streamlit pages, charts and the web server."""
