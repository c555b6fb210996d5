# shellcheck shell=bash
# Makes this machine and .venv ready; sourced by ./demo and ./test from the top of the tree.
#
# What is missing is found by looking for the thing itself, not for its package,
# so that clang or Python from elsewhere will do, and nothing is asked of apt
# when nothing is missing.  A second run does nothing: .venv holds a note of
# what it was made from.

me=${0##*/}

say() { printf '%s: %s\n' "$me" "$*"; }

stop() {
	printf '%s: %s\n' "$me" "$*" >&2
	exit 2
}

# A Python that can make virtual environments and is new enough for pyproject.toml.
find_python() {
	local candidate
	for candidate in python3 /usr/bin/python3 python3.14 python3.13 python3.12 python3.11; do
		if "$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
			echo "$candidate"
			return
		fi
	done
	return 1
}

# missing_packages run|test
missing_packages() {
	local has=$PATH:/sbin:/usr/sbin
	command -v clang >/dev/null || echo clang
	[ -r /usr/include/bpf/bpf_helpers.h ] || echo libbpf-dev
	[ -r /usr/include/linux/bpf.h ] || echo linux-libc-dev
	[[ $(PATH=$has ldconfig -p) == *"libbpf.so.1 "* ]] || echo libbpf1
	command -v unshare nsenter >/dev/null || echo util-linux
	# What the lab stands beside balancers; only root can open a lab.
	if [ "$EUID" -eq 0 ]; then
		PATH=$has command -v keepalived >/dev/null || echo keepalived
		PATH=$has command -v nft >/dev/null || echo nftables
		# A benchmark compares with it; nothing that is shown needs it.
		[ "$1" = run ] || PATH=$has command -v haproxy >/dev/null || echo haproxy
		# Kernels and compilers are fetched for virtual machines, and verified with these keys.
		[ "$1" = run ] || [ -r /usr/share/keyrings/debian-archive-keyring.gpg ] ||
			echo debian-archive-keyring
	fi
	.venv/bin/python -c '' 2>/dev/null || find_python >/dev/null || echo python3 python3-venv libpython3-dev
}

# apt_install PACKAGE…: silent if it works, else apt's last words.
apt_install() {
	local log failed=0
	say "installing $* (apt-get)"
	log=$(mktemp)
	{
		apt-get update &&
			DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$@"
	} >"$log" 2>&1 </dev/null || failed=1
	[ "$failed" = 0 ] || tail -n 5 "$log" >&2
	rm -f "$log"
	return "$failed"
}

# install_packages run|test
install_packages() {
	local missing
	missing=$(missing_packages "$1" | tr '\n' ' ')
	[ -n "$missing" ] || return 0
	command -v apt-get >/dev/null ||
		stop "missing here: ${missing% } (Debian package names); there is no apt-get here, so install them with your package manager"
	[ "$EUID" -eq 0 ] ||
		stop "missing here: ${missing% }; run: sudo apt-get install ${missing% }"
	# shellcheck disable=SC2086  # a list of words
	apt_install $missing ||
		stop "apt-get could not install ${missing% } (see above); fix that, or install them yourself"
	missing=$(missing_packages "$1" | tr '\n' ' ')
	[ -z "$missing" ] ||
		stop "still missing after apt-get: ${missing% }; Debian 12, Ubuntu 24.04 or newer have everything"
}

# Where the Python of .venv would have its headers.
headers() { .venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("include") + "/Python.h")'; }

# want_headers run|test: with them the loop that fills tables is compiled; nothing else needs them.
want_headers() {
	local header cost="only slower"
	header=$(headers)
	[ ! -r "$header" ] || return 0
	# Debian's package is for Debian's Python alone.
	if [ "$EUID" -eq 0 ] && command -v apt-get >/dev/null && [[ $header == /usr/include/* ]]; then
		apt_install libpython3-dev || true
	fi
	[ ! -r "$header" ] || return 0
	# As root ./test counts a skip as a failure, and what is not compiled is skipped.
	[ "$EUID" -ne 0 ] || [ "$1" = run ] || [ "${REMAINDER_REQUIRE_ALL:-1}" = 0 ] ||
		cost="slower, and its tests fail; set REMAINDER_REQUIRE_ALL=0 to skip them, or remove .venv and put a Python with headers into PATH (Debian's: apt-get install python3-venv libpython3-dev)"
	say "$header is missing (libpython3-dev), so the loop that fills tables runs uncompiled, $cost"
}

# What an installation is made from, and what was compiled of it.
made_from() {
	cat pyproject.toml packages/*/pyproject.toml scripts/hatch_build.py scripts/compile_python.py \
		src/remainder/selection/walk.py
	clang --version
	find "$(headers)" src/remainder/selection/walk.*.so 2>/dev/null || true
}

# make_venv run|test: .venv holds the three packages and what they depend on, or also what tests them.
make_venv() {
	local what=$1 python home wanted package=.
	[ "$what" = run ] || package=".[$what]"
	[ ! -e .venv ] || [ -w .venv ] ||
		stop ".venv belongs to another user; remove it (sudo rm -r .venv) and run this again"
	# An environment holds its own path and works with one Python only.
	home="$PWD $(.venv/bin/python -V 2>/dev/null)" || home=
	if [ "$home" != "$(cat .venv/made-for 2>/dev/null)" ] || [ -z "$home" ]; then
		python=$(find_python)
		say "making .venv with $("$python" -V)"
		"$python" -m venv --clear .venv
		echo "$PWD $(.venv/bin/python -V)" >.venv/made-for
	fi
	wanted=$(made_from | sha256sum)
	[ "$wanted" != "$(cat .venv/installed-test 2>/dev/null)" ] || return 0
	[ "$wanted" != "$(cat ".venv/installed-$what" 2>/dev/null)" ] || return 0
	want_headers "$what"
	say "installing Python packages into .venv (pip)"
	.venv/bin/python -m pip install -qq --disable-pip-version-check \
		--editable "$package" --editable packages/lab --editable packages/bench </dev/null ||
		stop "pip could not install the package (see above); it needs PyPI, or a mirror configured with pip config"
	[ ! -r "$(headers)" ] || compgen -G "src/remainder/selection/walk.*.so" >/dev/null ||
		say "the loop that fills tables runs uncompiled, slower, and its tests fail; .venv/bin/pip install -v -e . tells why"
	made_from | sha256sum >".venv/installed-$what"
}

have_objects() {
	local source
	for source in src/*/bpf/*.bpf.c; do
		[ -e "${source%.c}.o" ] || return 1
	done
}

# A package looks for its objects beside the sources.
compile_bpf() {
	local wanted
	wanted=$({
		cat src/*/bpf/*.[ch] scripts/compile_bpf.py
		clang --version
	} | sha256sum)
	if have_objects && [ "$wanted" = "$(cat .venv/compiled 2>/dev/null)" ]; then
		return
	fi
	say "compiling the XDP programs (clang)"
	.venv/bin/python scripts/compile_bpf.py || exit 2
	echo "$wanted" >.venv/compiled
}

# need_bpf: programs can be loaded and pinned, or one sentence and the end.
need_bpf() {
	local reason
	if [ "$(stat -f -c %T /sys/fs/bpf 2>/dev/null)" != bpf_fs ]; then
		say "mounting the BPF file system at /sys/fs/bpf"
		mount -t bpf bpf /sys/fs/bpf ||
			stop "/sys/fs/bpf cannot be mounted, so nothing can be pinned; run this on a machine or virtual machine, or in a privileged container"
	fi
	reason=$(.venv/bin/python scripts/host.py bpf) || stop "$reason"
}

# prepare run|test
prepare() {
	install_packages "$1"
	make_venv "$@"
	compile_bpf
	# Files made under sudo belong to the owner of the tree, so that ./test works without sudo.
	# shellcheck disable=SC2046  # file names of our own, if any
	[ "$EUID" -ne 0 ] || [ -O . ] ||
		chown -Rh --reference=. .venv src/*/bpf/*.o $(compgen -G "src/*/bpf/objects.json") \
		$(compgen -G "src/remainder/selection/walk.*.so")
}
