"""Where the core meets files, engines and stores."""
