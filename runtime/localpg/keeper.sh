# Runs the shared Postgres and ends it when nobody has used it for a while.
# Arguments: its folder, the seconds to wait, the command of the server.
# A user is a file named by its process id in the folder "users"; the file
# "open" says that newcomers may join.
dir=$1 idle=$2
shift 2

"$@" &
server=$!

used() {
	for file in "$dir"/users/*; do
		user=${file##*/}
		if [ -d "/proc/$user" ] || kill -0 "$user" 2>/dev/null; then
			return 0
		fi
		rm -f "$file"
	done
	return 1
}

quiet=0
while kill -0 "$server" 2>/dev/null; do
	sleep 1
	quiet=$((quiet + 1))
	if used; then
		quiet=0
	fi
	if [ "$quiet" -ge "$idle" ]; then
		rm -f "$dir/open"
		if used; then
			: >"$dir/open"
			quiet=0
		else
			kill -INT "$server"
			break
		fi
	fi
done
wait "$server"
