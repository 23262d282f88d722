# usage: pull.sh DEPLOY_DIR SOCKET REFERENCE   (always fenced)
# With the login and the credential helpers of this user.
docker -H "unix://$2" pull "$3"
