"""One file a model. Add a file with a `Recommender` subclass of the same name and use it as `external.Name`."""
