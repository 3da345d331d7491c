"""What stands between a call and a tool that changes or sends something."""
