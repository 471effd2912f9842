"""Files that are read and written, for all floors above; knows neither models nor jobs nor pictures."""
