"""The model column: from a module to recorded outputs."""
