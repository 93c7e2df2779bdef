"""Pages made from the code: API, messages, locales and the notebook."""
