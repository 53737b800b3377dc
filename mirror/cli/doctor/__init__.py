"""`mirror doctor`: tries each thing that a configuration depends on, and says what is wrong and how to mend it."""
