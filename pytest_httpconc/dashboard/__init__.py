"""Running servers on a live page: the lanes of the report, drawn while exchanges come."""
