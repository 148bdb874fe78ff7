"""What a source reads becomes requests, when it is read and when its dead letters are redriven."""
