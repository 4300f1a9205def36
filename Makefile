# MLS: `make` builds the programs, `make help` lists the targets. CC, CXX, CFLAGS and OPENMP can be set on the command line, and what
# the programs are called with: RUN (make run), BENCH (make bench-conv), CELLS (make matrix).

CC       ?= cc
CXX      ?= c++
CFLAGS   ?= -O2
WARNINGS ?= -Wall -Wextra -Wconversion -Wshadow -pedantic -Werror
# OpenMP where the compiler has it; OPENMP= builds without.
OPENMP   := $(shell echo 'int x;' | $(CC) -fopenmp -include omp.h -c -x c -o /dev/null - 2>/dev/null && echo -fopenmp)
# The peer of the convolutions' benchmark where it can be linked; ONEDNN= builds without.
ONEDNN    = $(shell echo 'int main(void) { return !dnnl_version(); }' | $(CC) -include dnnl.h -x c - -o /dev/null -ldnnl 2>/dev/null && echo -ldnnl)
BUILD    ?= build
ALL_C     = -std=c11 $(WARNINGS) $(CFLAGS) $(OPENMP) -I.

HEADERS  = mls.h mls_conv.h mls_train.h
TESTS    = $(BUILD)/test_mls $(BUILD)/test_conv $(BUILD)/test_train $(BUILD)/test_pictures $(BUILD)/test_kinds $(BUILD)/golden
BENCHES  = $(BUILD)/bench_conv $(BUILD)/bench_quantize $(BUILD)/bench_train $(BUILD)/bench_infer
PROGRAMS = $(BUILD)/mls $(BUILD)/cifar10 $(BUILD)/custom_layer

# Waiting threads sleep: two hardware threads often share one core.
export OMP_WAIT_POLICY ?= passive

.PHONY: all check help
all: build
check: test
help:
	@echo 'make            the programs, in $(BUILD)/ (also: make all, make build)'
	@echo 'make run        train ResNet-20 with MLS <2,1> integers and in fp32, side by side (2 minutes)'
	@echo 'make test       all tests; the last line counts them (also: make check)'
	@echo 'make bench      kernels, quantizer and training speed on this machine'
	@echo 'make bench-conv the convolutions beside oneDNN and the processor (8 minutes)'
	@echo 'make user-path  a newcomer'"'"'s path in a fresh clone, timed (docs/PICTURES.md)'
	@echo 'make bench-mcu  instructions per product on an emulated Cortex-M4'
	@echo 'make cifar10    fetch CIFAR-10 to data/, check it, and say how to train on it'
	@echo 'make sanitize   the tests with the address and undefined behaviour sanitizers'
	@echo 'make matrix     one answer: golden digests by compilers, options, machines (10 minutes)'
	@echo 'make kill-test  kills a training N=200 times, resumes it, compares the digests'
	@echo 'make fuzz       the fuzzers, SECONDS=60 each'
	@echo 'make mutants    breaks the code in many ways; the tests must notice (20 minutes)'
	@echo 'make format     clang-format everything'
	@echo 'make install    all of it, for pkg-config and CMake too, to PREFIX=/usr/local'
	@echo 'make dist       the source as an archive, and a port for vcpkg'
	@echo 'make clean      remove $(BUILD)/'

.PHONY: setup setup-test
setup:
	@scripts/need.sh $(CC) stb/stb_image.h jsmn.h
setup-test: setup
	@scripts/need.sh $(CXX) clang libomp tmux

.PHONY: run
run: setup
	@$(MAKE) --no-print-directory $(BUILD)/mls
	@$(BUILD)/mls train --model resnet20 --format 2,1:nc:2,0 --beside fp32 $(RUN)

# What `make run` trains; RUN= on the command line replaces it.
RUN ?= --limit 1600 --test-limit 500 --epochs 8 --batch 64 --schedule cosine --lr 0.1

.PHONY: test
test: setup-test
	@$(MAKE) --no-print-directory build tests
	@BUILD=$(BUILD) CC='$(CC)' CXX='$(CXX)' tests/run.sh

.PHONY: sanitize
sanitize: setup-test
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/sanitize OPENMP= \
	    CFLAGS='-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all' $(BUILD)/sanitize/mls tests
	@BUILD=$(BUILD)/sanitize CC='$(CC)' CXX='$(CXX)' SANITIZED=1 tests/run.sh

.PHONY: matrix kill-test fuzz mutants
matrix:
	@BUILD=$(BUILD) scripts/matrix.sh $(CELLS)

N ?= 200
kill-test: setup
	@$(MAKE) --no-print-directory build
	@BUILD=$(BUILD) tests/kill.sh $(N)

SECONDS ?= 60
fuzz: setup
	@BUILD=$(BUILD) scripts/fuzz.sh $(SECONDS)

mutants: setup-test
	@BUILD=$(BUILD) CC='$(CC)' tests/mutants.sh

.PHONY: build tests benches
build: $(PROGRAMS)
tests: $(TESTS)
benches: $(BENCHES)

.PHONY: bench bench-conv
bench: setup bench-conv
	@$(MAKE) --no-print-directory benches
	$(BUILD)/bench_quantize
	$(BUILD)/bench_train
	$(BUILD)/bench_infer

# oneDNN is optional; it is installed where it can be had. BENCH= adds options.
bench-conv: setup
	@scripts/need.sh dnnl.h || true
	@$(MAKE) --no-print-directory $(BUILD)/bench_conv
	$(BUILD)/bench_conv --set all --json $(BUILD)/conv.json --plot $(BUILD)/conv.txt $(BENCH)
	awk -v machine="$$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)" -f bench/conv.awk \
	    $(BUILD)/conv.txt >$(BUILD)/conv.svg

.PHONY: user-path
user-path: setup
	@scripts/user_path.sh

# Counted, not timed: the same on every machine.
.PHONY: bench-mcu
bench-mcu:
	@BUILD=$(BUILD) scripts/mcu.sh

.PHONY: cifar10
cifar10: setup
	@$(MAKE) --no-print-directory $(BUILD)/mls
	@scripts/cifar10.sh data
	@echo 'train on it with: $(BUILD)/mls train --data data --epochs 160 --out run'

$(BUILD)/mls: examples/mls/mls.c $(wildcard examples/mls/*.h) examples/models.h examples/pictures.h examples/fit.h $(HEADERS)
	@mkdir -p $(BUILD)
	$(CC) $(ALL_C) -DMLS_PLOT_GP='"$(CURDIR)/examples/mls/plot.gp"' $< -o $@ -lm

$(BUILD)/cifar10: examples/cifar10.c examples/models.h examples/pictures.h examples/fit.h $(HEADERS)
	@mkdir -p $(BUILD)
	$(CC) $(ALL_C) $< -o $@ -lm

$(BUILD)/custom_layer: examples/custom_layer.c $(HEADERS)
	@mkdir -p $(BUILD)
	$(CC) $(ALL_C) $< -o $@ -lm

$(BUILD)/test_%: tests/test_%.c tests/t.h tests/tensor.h $(HEADERS)
	@mkdir -p $(BUILD)
	$(CC) $(ALL_C) -Itests $< -o $@ -lm

# The parts of a program, a file for each promise
$(BUILD)/test_conv: $(wildcard tests/conv/*.[ch])
$(BUILD)/test_train: $(wildcard tests/train/*.[ch])
$(BUILD)/test_mls: $(wildcard tests/mls/*.[ch]) tests/vectors/quantize.h
$(BUILD)/test_pictures $(BUILD)/test_kinds: examples/pictures.h examples/fit.h

$(BUILD)/golden: tests/golden.c $(HEADERS)
	@mkdir -p $(BUILD)
	$(CC) $(ALL_C) $< -o $@ -lm

$(BUILD)/bench_%: bench/%.c bench/bench.h $(HEADERS)
	@mkdir -p $(BUILD)
	$(CC) $(ALL_C) $< -o $@ -lm

$(BUILD)/bench_train: examples/mls/mls.c $(wildcard examples/mls/*.h) examples/models.h examples/pictures.h examples/fit.h

$(BUILD)/bench_conv: bench/conv.c bench/bench.h bench/own.h bench/peak.h bench/peers/onednn.c bench/peers/onednn.h $(HEADERS)
	@mkdir -p $(BUILD)
	$(CC) $(ALL_C) $< $(if $(ONEDNN),-DBENCH_ONEDNN bench/peers/onednn.c) -o $@ -lm $(ONEDNN)

.PHONY: format install dist clean
format:
	clang-format -i $(HEADERS) examples/*.[ch] examples/mls/*.[ch] bench/*.[ch] bench/peers/*.[ch] tests/*.[ch] tests/*/*.[ch]

PREFIX ?= /usr/local
VERSION = $(shell sed -n 's/.*MLS_VERSION_STRING "\(.*\)"/\1/p' mls.h)
TO      = $(DESTDIR)$(PREFIX)
# The program is built once more: it looks for its plot script where that is installed.
install:
	install -d $(TO)/include $(TO)/bin $(TO)/share/pkgconfig $(TO)/share/cmake/mls $(TO)/share/mls \
	    $(TO)/share/doc/mls/docs
	install -m 644 $(HEADERS) $(TO)/include
	for to in pkgconfig/mls.pc cmake/mls/mlsConfig.cmake cmake/mls/mlsConfigVersion.cmake; do \
	    sed 's/@VERSION@/$(VERSION)/; s/@INCLUDEDIR@/include/' \
	        scripts/package/$${to##*/}.in >$(TO)/share/$$to && chmod 644 $(TO)/share/$$to || exit 1; \
	done
	$(CC) $(ALL_C) $(shell echo '#include <stb/stb_image.h>' | $(CC) -E -xc - >/dev/null 2>&1 || echo -DNO_PICTURES) \
	    -DMLS_PLOT_GP='"$(PREFIX)/share/mls/plot.gp"' examples/mls/mls.c -o $(TO)/bin/mls -lm
	install -m 644 examples/mls/plot.gp $(TO)/share/mls
	install -m 644 README.md CHANGELOG.md LICENSE $(TO)/share/doc/mls
	install -m 644 docs/* $(TO)/share/doc/mls/docs

# What git knows, as it is now; and a port for vcpkg, to be copied, with it.
DIST = $(BUILD)/mls-$(VERSION).tar.gz
PORT = $(BUILD)/vcpkg/mls
dist:
	@mkdir -p $(PORT)
	git ls-files | tar -czf $(DIST) --owner=0 --group=0 --transform 's,^,mls-$(VERSION)/,' -T -
	cp $(DIST) scripts/package/vcpkg/* $(PORT)
	@echo '$(DIST), and a port for vcpkg in $(PORT)'

clean:
	rm -rf $(BUILD)
