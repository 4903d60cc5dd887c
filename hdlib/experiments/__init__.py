"""One module a chapter: its config, and the recipe from config to run."""
