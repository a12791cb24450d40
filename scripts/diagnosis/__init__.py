"""The checks of `make doctor`: a module for each kind. They only read, and tell of each thing that is wrong."""
