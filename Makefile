# A thin face over meson. `make build` leaves build/backstay; `make test` needs PostgreSQL.
# JOBS=N bounds the compilers, and the integration tests, that run at once.

PYTHON := /usr/bin/python3
MESON := $(firstword $(wildcard /usr/bin/meson) meson)
SUITES := --suite unit --suite contract --suite fuzz
MESON_TEST := $(MESON) test --no-rebuild --print-errorlogs

.DEFAULT_GOAL := build
.PHONY: build faults test test-quick test-nightly unit integration test-versions check asan tsan valgrind \
        coverage fuzz fuzz-run fuzz-unit lint docs install bench demo deps clean

build:
	@tools/install-deps build
	@tools/compile build

faults:
	@tools/install-deps build
	@BUILD_ONLY=backstay tools/compile build/faults -Dfaults=true

unit: build
	@$(MESON_TEST) -C build $(SUITES)

check:
	@tools/check-layers
	@tools/check-names
	@tools/check-headers
	@tools/check-banned

# The last line that is printed is pytest's own summary.
test:
	@tools/install-deps build test
	@$(MAKE) --no-print-directory unit check faults
	@$(MAKE) --no-print-directory integration

# The parts that fail first: units, the checks, the main job, a test of each command.
test-quick:
	@tools/install-deps build test
	@$(MAKE) --no-print-directory unit check
	@$(MAKE) --no-print-directory integration ONLY=quick

# Hours. What "make test" proves, under sanitizers, for longer, from other seeds, with other versions.
test-nightly: export BACKSTAY_TEST_KILLS := 100
test-nightly: export BACKSTAY_PROPERTY_ROUNDS := 200
test-nightly:
	@$(MAKE) --no-print-directory asan tsan valgrind fuzz-unit lint
	@$(MAKE) --no-print-directory fuzz-run SECONDS=120 SEED=0
	@$(MAKE) --no-print-directory build faults
	@$(MAKE) --no-print-directory integration ONLY="nightly or not nightly"
	@$(MAKE) --no-print-directory test-versions

# One worker more than there are processors, since servers and timeouts are waited for.
integration:
	@BACKSTAY=$(CURDIR)/build/backstay BACKSTAY_FAULTS=$(CURDIR)/build/faults/backstay \
	    BACKSTAY_TOOLS=$(CURDIR)/build/tests $(PYTHON) -B -m pytest tests/integration -q \
	    -p no:cacheprovider -n $(or $(JOBS),$(shell expr $$(nproc) + 1)) --dist loadfile \
	    $(if $(ONLY),-m "$(ONLY)")

test-versions: build faults
	@tests/versions.sh

asan:
	@tools/install-deps build
	@tools/compile build/asan -Db_sanitize=address,undefined -Db_lundef=false
	@$(MESON_TEST) -C build/asan $(SUITES)

# Without address space randomization, which some kernels make too wide for ThreadSanitizer.
tsan:
	@tools/install-deps build
	@tools/compile build/tsan -Db_sanitize=thread -Db_lundef=false
	@setarch -R $(MESON_TEST) -C build/tsan $(SUITES)

valgrind: build
	@tools/install-deps valgrind
	@$(MESON_TEST) -C build --suite unit --timeout-multiplier 10 \
	    --wrap 'valgrind --quiet --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite'

# Lines and branches that unit tests, contract tests and the corpora of the fuzzers reach, as a table.
coverage:
	@tools/install-deps build
	@tools/compile build/coverage -Db_coverage=true -Doptimization=0
	@find build/coverage -name '*.gcda' -delete
	@$(MESON_TEST) -C build/coverage $(SUITES)
	@tools/coverage build/coverage

# The fuzzers as libFuzzer programs: build/fuzz/tests/fuzz-NAME tests/fuzz/corpus/NAME
fuzz:
	@tools/install-deps build fuzz
	@CC=clang CC_LD=lld tools/compile build/fuzz -Dfuzz=true -Db_sanitize=address,undefined \
	    -Db_lundef=false

# The same build has the unit tests, too, under the address and undefined behaviour sanitizers.
fuzz-unit: fuzz
	@$(MESON_TEST) -C build/fuzz --suite unit

# Each of them, or those of TARGETS, for SECONDS, from SEED (0: another one each time).
fuzz-run: fuzz
	@SEED=$(or $(SEED),0) tests/fuzz/run $(or $(SECONDS),10) $(TARGETS)

# gcc's flags, of which clang 14 refuses the one that fills variables with zeros.
lint: build check
	@tools/install-deps lint
	@find src tests -name '*.[ch]' -print0 | xargs -0 clang-format --dry-run -Werror
	@find src -name '*.c' -print0 | xargs -0 -n 4 -P 2 clang-tidy -p build --quiet \
	    --extra-arg=-ftrivial-auto-var-init=uninitialized

# docs/reference and what else is generated and kept in the tree; a test says when it is stale.
docs:
	@$(PYTHON) -B tools/gen reference meta/options.yaml meta/errors.yaml docs/reference

install: build
	@$(MESON) install -C build --no-rebuild

bench: build
	@tools/install-deps bench
	@bench/run

demo: build
	@tools/install-deps server
	@tools/demo

deps:
	@tools/install-deps build test lint fuzz valgrind

clean:
	rm -rf build
