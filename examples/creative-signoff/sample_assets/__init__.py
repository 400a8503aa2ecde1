"""Sample assets, drawn and written by program: nothing here is downloaded, and the same seed gives the same bytes."""
