"""What an attempt costs, to the billionth of a dollar."""
