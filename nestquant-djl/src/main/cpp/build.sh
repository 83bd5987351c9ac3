#!/bin/sh
# Compiles the native kernels into a directory of resources:
#
#   build.sh RESOURCES WORK JAVA_HOME VERSION
#
# writes RESOURCES/native/<os>-<arch>/ (the library and nestquant.properties: its version and
# SHA-256); WORK keeps objects. $CXX names the compiler, $NQ_CXXFLAGS adds to its flags, $NQ_ARCH is
# the architecture that a cross compiler makes code for. Without a compiler it says so and succeeds:
# the portable kernels need none.
set -eu

sources=$(cd "$(dirname "$0")" && pwd)
resources=$1
work=$2
java_home=$3
version=$4

# compiled once; every other source is compiled once per level
ONCE="jni jni_encode jni_layer isa jobs memory encoding pool"

say() { echo "nestquant native: $*"; }

without() {
    say "$*; the portable kernels will be used"
    exit 0
}

fail() {
    echo "nestquant native: $*" >&2
    exit 1
}

case $(uname -s) in
    Linux) os=linux library=libnestquant.so ;;
    Darwin) os=osx library=libnestquant.dylib ;;
    *) without "$(uname -s) is not supported" ;;
esac
case ${NQ_ARCH:-$(uname -m)} in
    x86_64 | amd64) arch=x86_64 levels="avx512 avx2 baseline" ;;
    aarch64 | arm64) arch=aarch64 levels=baseline ;;
    *) without "${NQ_ARCH:-$(uname -m)} is not supported" ;;
esac

cxx=${CXX:-}
if [ -z "$cxx" ]; then
    for candidate in g++ clang++ c++; do
        if command -v $candidate >/dev/null 2>&1; then
            cxx=$candidate
            break
        fi
    done
fi
[ -n "$cxx" ] || without "found no C++ compiler (g++, clang++ or \$CXX)"
command -v "${cxx%% *}" >/dev/null 2>&1 || fail "\$CXX is $cxx, which cannot be run"
[ -f "$java_home/include/jni.h" ] || without "$java_home has no include/jni.h (a JRE, not a JDK)"
jni="-I$java_home/include -I$java_home/include/$(uname -s | tr '[:upper:]' '[:lower:]')"

# no contraction to fused multiply-adds, which would round differently from level to level
flags="-O3 -std=c++17 -fPIC -fvisibility=hidden -ffp-contract=off -fno-exceptions -fno-rtti"
flags="$flags -fno-math-errno -Wall -Wextra -Wno-psabi -Wno-maybe-uninitialized -Wno-unknown-warning-option ${NQ_CXXFLAGS:-}"
link="-shared -pthread"
[ $os = osx ] || link="$link -static-libstdc++ -static-libgcc -Wl,--no-undefined -Wl,--exclude-libs,ALL -Wl,-z,relro,-z,now"

level_flags() {
    case $1 in
        avx512)
            echo "$(level_flags avx2) -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni" \
                "-mavx512vbmi -mgfni -mprefer-vector-width=512"
            ;;
        avx2) echo "-mavx2 -mfma -mf16c -mbmi -mbmi2 -mpopcnt" ;;
        baseline) ;;
    esac
}

sha256() {
    if command -v sha256sum >/dev/null 2>&1; then
        sha256sum "$@"
    else
        shasum -a 256 "$@"
    fi | cut -d ' ' -f 1
}

target=$resources/native/$os-$arch
stamp=$(
    {
        $cxx --version
        echo "$flags $link $jni $version $levels"
        cat "$sources"/*.cpp "$sources"/*.h "$sources/build.sh"
    } | sha256
)
if [ -f "$target/$library" ] && [ -f "$target/nestquant.properties" ] &&
    [ "$(cat "$work/stamp" 2>/dev/null)" = "$stamp" ]; then
    exit 0
fi

mkdir -p "$work" "$target"
rm -f "$work"/*.o "$work"/*.failed "$work/stamp"

known=
for level in $levels; do
    # a compiler that is too old for a level leaves it out
    if echo 'int main() {}' | $cxx $(level_flags $level) -x c++ -fsyntax-only - 2>/dev/null; then
        known="$known $level"
        flags="$flags -DNQ_HAS_$(echo $level | tr '[:lower:]' '[:upper:]')"
    else
        say "$cxx knows no $level: this level is left out"
    fi
done

jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
running=0
compile() {
    out=$1
    shift
    { $cxx "$@" -c -o "$work/$out.o" || touch "$work/$out.failed"; } &
    running=$((running + 1))
    if [ $running -ge "$jobs" ]; then
        wait
        running=0
    fi
}

say "compiling with $cxx for $os-$arch:$known"
for file in "$sources"/*.cpp; do
    name=$(basename "$file" .cpp)
    case " $ONCE " in
        *" $name "*) compile "$name" $flags $jni "$file" ;;
        *)
            for level in $known; do
                compile "$name.$level" $flags $(level_flags $level) -DNQ_LEVEL=$level "$file"
            done
            ;;
    esac
done
wait
for failed in "$work"/*.failed; do
    [ ! -e "$failed" ] || fail "$(basename "$failed" .failed) does not compile"
done

# a function that several levels could share would be taken from any of them
nm=$($cxx -print-prog-name=nm)
if [ $os = linux ] && command -v "$nm" >/dev/null 2>&1; then
    for level in $known; do
        shared=$("$nm" "$work"/*."$level".o | grep ' [VWuvw] ' | grep -v ' w _ITM\| w __gmon' |
            grep -v "N2nq[0-9]*$level" || true)
        [ -z "$shared" ] || fail "$level defines what other levels could take from it: $shared"
    done
fi

$cxx $link ${NQ_CXXFLAGS:-} -o "$work/$library" "$work"/*.o
cp "$work/$library" "$target/$library.part"
mv -f "$target/$library.part" "$target/$library"
cat >"$target/nestquant.properties" <<PROPERTIES
version=$version
sha256=$(sha256 "$target/$library")
PROPERTIES
echo "$stamp" >"$work/stamp"
