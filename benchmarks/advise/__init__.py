"""Whether exits pay: what is foreseen held against what is built, and the table at equal accuracy."""
