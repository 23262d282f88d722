"""The POSIX-sh files that run on a target, and the function that reads them. Shellcheck clean."""
