"""Dead letters: what nobody could finish, how it is found again, and how it is redriven."""
