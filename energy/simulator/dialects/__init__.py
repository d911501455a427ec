"""How the virtual analyser speaks: one module for each instrument it can be."""
