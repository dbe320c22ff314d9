"""From a file, a frame or arrays to a checked Table, a Schema decided on search rows, and folds."""
