"""Ground floor of the workbench: configuration, feature tables, files, runtime and console.

Nothing here knows a backbone, a model or a metric, and nothing here imports torch when it is imported.
"""
