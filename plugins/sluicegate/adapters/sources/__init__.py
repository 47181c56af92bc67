"""Where training data lies: one small file for each kind of place, behind one protocol."""
