"""Answer queries and run searches on a task: what a method talks to."""
