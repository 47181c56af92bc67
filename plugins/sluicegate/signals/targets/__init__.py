"""Labels that are numbers: what the features predict of them, and how far they lie from that."""
