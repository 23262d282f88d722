# shellcheck shell=sh
# The audit of the managed part of deploy_dir: comes between lib.sh and the scripts that observe. Changes nothing but
# its own memory, and that under the lock alone.
# Paths are told in one line: a backslash is \\ and a newline is \n. A line of find and stat is known by its `.//`: no
# name has a slash, so nothing else can bring one.
day=86400 # seconds after which every file is read again, whatever stat says of it
most=1000 # lines of a kind; the rest is counted
newline='
'

# shellcheck disable=SC2016 # awk's own variables
in_lines='
    function escaped(text,    at, done) {
        done = ""
        while (at = index(text, "\\")) { done = done substr(text, 1, at - 1) "\\\\"; text = substr(text, at + 1) }
        return done text
    }
    index($0, ".//") { if (line != "") take(line); line = escaped($0); next }
    { line = line "\\n" escaped($0) }
    END { if (line != "") take(line); finish() }'

# The lines of the seals: sha256, mode, size, path. A directory has "-" for the first and the third.
# shellcheck disable=SC2016
with_seals='
    BEGIN { for (at = 1; at < ARGC; at++) { seal_files[at] = ARGV[at]; ARGV[at] = "" } }
    function read_seals(    at, file, release, text, part) {
        for (at = 1; at < ARGC; at++) {
            file = seal_files[at]
            release = substr(file, length(".//.reconciler/sealed/") + 1)
            release = substr(release, 1, length(release) - length(".seal"))
            while ((getline text < file) > 0) {
                if (split(text, part, " ") < 4) continue
                text = substr(text, length(part[1]) + length(part[2]) + length(part[3]) + 4)
                seals[text]++
                seal[text, seals[text]] = release " " part[1] " " part[2] " " part[3]
                paths[++count] = text
            }
            close(file)
        }
    }
    function is_seal(path) { return path ~ "^[.]reconciler/sealed/[^/]*[.]seal$" }'

# Says "same" and tells the seals, or gives every line with what is known of its content: its sha256, "hash" (it has to be read), or "-".
# shellcheck disable=SC2016
decide='
    BEGIN {
        while ((getline text < inventory) > 0)
            if (!headed++) split(text, head, " ")
            else { at = index(text, " "); known[substr(text, at + 1)] = substr(text, 1, at - 1); cached++ }
        all = !(head[1] > 0 && now >= head[1] && now - head[1] < day)
    }
    function take(text) {
        record[++n] = text
        at = substr(text, index(text, ".//") + 3)
        if (at == "releases" || at == ".reconciler/files" || at == ".reconciler/sealed") roots--
    }
    function finish(    i, j, same, path, part, wanted, told) {
        if (roots != 0) { print "unsure"; exit }
        same = !all && head[2] == "clean" && n == cached
        for (i = 1; i <= n && same; i++) same = (record[i] in known) && known[record[i]] != "racy"
        if (!same) read_seals()
        print same ? "same" : "differs " (all ? now : head[1])
        for (i = 1; i <= n; i++) {
            path = substr(record[i], index(record[i], ".//") + 3)
            if (same) {
                if (is_seal(path)) print "seal " known[record[i]] " " path
                continue
            }
            wanted = 0
            if (substr(record[i], 1, 1) == "8") {
                split(record[i], part, " ")
                if (is_seal(path)) wanted = 1
                for (j = 1; j <= seals[path]; j++) {
                    split(seal[path, j], told, " ")
                    if (told[4] == part[3]) wanted = 1
                }
            }
            if (!wanted) print "- " record[i]
            else if (!all && known[record[i]] ~ /^[0-9a-f]+$/) print known[record[i]] " " record[i]
            else print "hash " record[i]
        }
    }'

# Holds every line against the seals. What differs is told, and what has to be remembered goes to `keep`.
# shellcheck disable=SC2016
judge='
    function tell(text) { if (++told <= most) print text; else cut++ }
    function parent(path) { return match(path, "/[^/]*$") ? substr(path, 1, RSTART - 1) : "" }
    function hex(text,    i, value) {
        if (text in bits) return bits[text]
        for (i = 1; i <= length(text); i++) value = value * 16 + index("123456789abcdef", substr(text, i, 1))
        return bits[text] = value
    }
    function octal(text,    i, value) {
        if (text in modes) return modes[text]
        for (i = 1; i <= length(text); i++) value = value * 8 + substr(text, i, 1)
        return modes[text] = value
    }
    function expectations(path,    j) { for (j = 1; j <= seals[path]; j++) tell("sealed " seal[path, j] " " path) }
    BEGIN { read_seals(); stage = 1 }
    $0 == "//" { stage++; next }
    stage == 1 { content[substr($0, 70)] = substr($0, 1, 64); next }
    stage == 2 { at = index($0, " "); content[substr($0, at + 1)] = substr($0, 1, at - 1); next }
    {
        at = index($0, " ")
        sum = substr($0, 1, at - 1)
        stat = substr($0, at + 1)
        path = substr(stat, index(stat, ".//") + 3)
        split(stat, part, " ")
        if (sum == "hash") sum = (path in content) ? content[path] : "unreadable"
        type = substr(stat, 1, 1)
        lines[++n] = (type == "8" && part[5] >= start - 1 ? "racy" : sum) " " stat
        if (path == "releases" || path == ".reconciler/files" || path == ".reconciler/sealed") next
        if (path == ".reconciler/sealed/key" || path == ".reconciler/sealed/key.new") next
        seen[path] = 1
        entry = "entry " part[1] " " part[2] " " part[3] " " part[5] " " sum " " path
        if (is_seal(path)) {
            if (sum != "-" && sum != "unreadable") print "seal " sum " " path
            if (part[1] != "8100" || part[2] != owner) tell(entry)
            if (type != "8") foreign[path] = 1
            next
        }
        if (!seals[path]) {
            foreign[path] = 1
            if (!(parent(path) in foreign) && !(parent(path) in broken)) tell(entry)
            next
        }
        bad = part[2] != owner
        for (j = 1; j <= seals[path]; j++) {
            split(seal[path, j], wanted, " ")
            is = wanted[2] == "-" ? "4" : "8"
            if (type != is) { bad = 1; broken[path] = 1 }
            else if (hex(part[1]) % 4096 != octal(wanted[3])) bad = 1
            if (is == "8" && (wanted[4] != part[3] || wanted[2] != sum)) bad = 1
        }
        if (bad) { tell(entry); expectations(path) }
    }
    END {
        for (i = 1; i <= count; i++) {
            path = paths[i]
            if ((path in seen) || (path in gone)) continue
            gone[path] = 1
            above = parent(path)
            if (!(above in broken) && (!seals[above] || (above in seen))) expectations(path)
        }
        if (cut) print "cut " cut
        if (keep != "") {
            print full " " (told ? "dirty" : "clean") >keep
            for (i = 1; i <= n; i++) print lines[i] >keep
            if (close(keep) != 0) exit 1
        }
    }'

listed() { TZ=UTC0 find "$@" -exec stat -c '%f %u %s %Y %Z %g %i %y %z %n' {} + 2>/dev/null || true; }

# What lies in deploy_dir, in .reconciler, and beside those writable areas ($@) that aren't at the top.
beside() {
    for area in "$@"; do
        shift
        while [ "$area" != "${area%/*}" ]; do
            area=${area%/*}
            if [ -e ".//$area" ]; then set -- "$@" ".//$area"; fi
        done
    done
    # shellcheck disable=SC2016
    listed .// .//.reconciler "$@" -maxdepth 1 | awk -v most="$most" "$in_lines"'
        function take(text,    part, path) {
            path = substr(text, index(text, ".//") + 3)
            split(text, part, " ")
            if (told[path]++) return
            if (++n <= most) print "top " part[1] " " part[2] " " part[3] " " part[5] " - " path
            else cut++
        }
        function finish() { if (cut) print "cut " cut }'
    for name in current last_good compose.yaml .env; do
        if [ ! -L "$name" ]; then continue; fi
        case $name in
        current) to=$current ;; # observe has read these two
        last_good) to=$good ;;
        *) to=$(readlink "$name") || to='?' ;;
        esac
        case $to in *"$newline"*) to='?' ;; esac
        printf 'link %s %s\n' "$name" "$to"
    done
    if [ -f last_good_tag ] && [ ! -L last_good_tag ]; then
        IFS= read -r tag <last_good_tag || tag='?'
        printf 'tag %s\n' "$tag"
    fi
}

read_odd() {
    # shellcheck disable=SC2016
    printf '%s\n' "$1" | awk '/^hash / && index($0, "\\") { print substr($0, index($0, ".//") + 3) }' |
        while IFS= read -r name; do
            path=$(printf '%bx' "$name")
            if sum=$(sha256sum <".//${path%x}" 2>/dev/null); then printf '%s %s\n' "${sum%% *}" "$name"; fi
        done
}

# The sha256 of those that have to be read. Odd names go one by one: what sha256sum makes of them differs.
read_them() {
    # shellcheck disable=SC2016
    printf '%s\n' "$1" | awk '/^hash / && !index($0, "\\") { print substr($0, index($0, ".//")) }' | tr '\n' '\000' |
        xargs -0 -r sha256sum 2>/dev/null || true
    printf '//\n'
    case $1 in *\\*) read_odd "$1" ;; esac
    printf '//\n%s\n' "$1"
}

# $1: where to remember what was seen, empty for nowhere. Then the writable areas. Its last line is "end".
audited() {
    keep=$1
    shift
    cd "$dir" || return 1
    start=$(date +%s)
    beside "$@"
    roots='' count=0
    for root in releases .reconciler/files .reconciler/sealed; do
        if [ -e "$root" ] || [ -L "$root" ]; then roots="$roots .//$root" count=$((count + 1)); fi
    done
    if [ -z "$roots" ]; then
        printf 'end\n'
        return 0
    fi
    set --
    for file in .//.reconciler/sealed/*.seal; do
        if [ -f "$file" ] && [ ! -L "$file" ] && [ -r "$file" ]; then set -- "$@" "$file"; fi
    done
    # shellcheck disable=SC2086 # words
    found=$(
        listed $roots |
            awk -v inventory=.reconciler/inventory -v now="$start" -v day="$day" -v roots="$count" \
                "$in_lines$with_seals$decide" "$@"
    ) || return 1
    verdict=${found%%"$newline"*} rest=
    if [ "$found" != "$verdict" ]; then rest=${found#*"$newline"}; fi
    case $verdict in
    same) printf '%s\n' "$rest" ;;
    differs\ *)
        owner=$(stat -c %u .reconciler) || return 1
        judged=$(
            umask 077
            read_them "$rest" | awk -v keep="${keep:+$keep.new}" -v full="${verdict#differs }" -v start="$start" \
                -v most="$most" -v owner="$owner" "$with_seals$judge" "$@"
        ) || return 1
        if [ -n "$keep" ]; then mv -f "$keep.new" "$keep" || return 1; fi
        printf '%s\n' "$judged"
        ;;
    *) return 1 ;;
    esac
    printf 'end\n'
}

# The .env files that differ, as they are and as they were installed: which keys they are is for the other side to say.
environments() {
    # shellcheck disable=SC2016
    printf '%s\n' "$1" | awk '/^entry 8/ && $7 ~ /^releases\/[A-Za-z0-9._-]+\/\.env$/ && NF == 7 { print $7 }' | head -n 5 |
        while IFS= read -r path; do
            release=${path#releases/} release=${release%/.env}
            if [ -r "$dir/$path" ]; then line "env_found:$release" "$(head -c 1048576 "$dir/$path")"; fi
            if was=$(tar -xOf "$own/sealed/$release.tar" release/.env 2>/dev/null); then line "env_sealed:$release" "$was"; fi
        done
}

# usage: audit INVENTORY-TO-WRITE WRITABLE...   (an empty first one: nothing is written)
audit() {
    for tool in awk find sha256sum stat tr xargs; do
        if ! command -v "$tool" >/dev/null 2>&1; then
            line audit "unsure there is no $tool command on this host"
            return 0
        fi
    done
    said=$(audited "$@") || said="unsure what is there can't be listed$newline$said"
    line audit "$said"
    environments "$said"
}
