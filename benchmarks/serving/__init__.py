"""The server under load: beside the same server uncut, beside LitServe, with drift, and with a controller."""
