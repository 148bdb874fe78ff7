"""Tables in Snowflake."""
