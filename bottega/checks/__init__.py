"""What `bottega doctor` looks at. A check needs no package of the project, so that it works where they are missing."""
