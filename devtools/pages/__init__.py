"""Pages made from the code: API, locales and the notebook."""
