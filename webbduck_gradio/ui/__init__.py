"""The page: a folder for each tab, with its Python, JavaScript, CSS and HTML."""
