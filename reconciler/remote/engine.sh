# usage: engine.sh DEPLOY_DIR SOCKET WHAT   (always fenced)
# The Docker API on standard input and output, for requests that change something: the fence is held until the engine
# has answered the last one. WHAT is for the journal.
docker -H "unix://$2" system dial-stdio
