# cpromise: promises for Lua 5.4 and 5.5.
#
#   make demo     count the lines of a real folder (FOLDER=/usr/include)
#   make test     run the specs (FILES=spec/one_spec.lua for some of them)
#   make soak     long runs: millions of promises, what memory they take
#   make all      build into build/
#   make mutants  break the core in many places: do the specs notice?
#   make check    linters, formatting, layers; changes nothing
#   make bench    measure speed and memory, against rivals (minutes)
#   make bench-full    in four sizes, which takes hours
#   make bench-count   count instructions (BENCH='^chain' for some)
#   make bench-check   compare them with those in bench/instructions.txt
#   make bench-accept  write that file
#   make bench-growth  count instructions for few and for many operations
#   make bench-uv      proxy, Redis and files beside node (ROUNDS=5)
#   make bench-report  measure, and write docs/benchmarks.md, with NOTE='...'
#   make docs     write reference.md, uv.md and types/teal from types/library
#   make site     make all documents into pages below build/site (with pandoc)
#   make pictures draw those of docs/debugging.md (needs graphviz)
#   make install  install below PREFIX (/usr/local), as LuaRocks builds it;
#                 DESTDIR=folder for a package
#   make uninstall     take that away again
#   make amalgamation  the core as one file, build/amalgamation/cpromise.c
#   make rockspec write that of the release from rockspec/cpromise-scm-1.rockspec
#   make dist     source archive and rocks of the last commit, in build/dist
#   make deps     install what building and the demo need and the machine lacks
#   make clean    remove what was built
#   make help     print this
#
# demo and test install what is missing first; DEPS=no leaves that out.

LUA_VERSION ?= 5.4
LUA ?= lua$(LUA_VERSION)
LUA_INCDIR ?= $(firstword $(wildcard /usr/include/lua$(LUA_VERSION) \
  /usr/local/include/lua$(LUA_VERSION) \
  /opt/homebrew/include/lua$(LUA_VERSION)) /usr/include)
BUSTED ?= $(or $(shell command -v busted),/usr/bin/busted)
VERSION := $(shell sed -n 's/.*CP_VERSION "cpromise \(.*\)"/\1/p' csrc/core.h)
DEPS ?= yes
FOLDER ?=
FILES ?=
JOBS ?= 2
MUTANTS ?=
BENCH ?=
ROUNDS ?=
NOTE ?=

# Where make install puts what it installs, all of it below DESTDIR. The names
# are those of Lua's own Makefile.
PREFIX ?= /usr/local
DESTDIR ?=
INSTALL_LMOD ?= $(PREFIX)/share/lua/$(LUA_VERSION)
INSTALL_CMOD ?= $(PREFIX)/lib/lua/$(LUA_VERSION)
INSTALL_DATA ?= $(PREFIX)/share
INSTALL_DOC ?= $(PREFIX)/share/doc/cpromise
INSTALL_PC ?= $(PREFIX)/lib/pkgconfig

# What is installed has no assertions, and is optimized as LuaRocks does it, or
# as CFLAGS says if somebody has set it, as those who make packages do.
RELEASE_CFLAGS := $(if $(CFLAGS),$(CFLAGS),-O2) -fPIC -DNDEBUG
CFLAGS ?= -O2 -g
WARNINGS = -Wall -Wextra -Wpedantic -Wshadow -Wundef -Wconversion \
  -Wcast-qual -Wwrite-strings -Wstrict-prototypes -Wmissing-prototypes \
  -Wold-style-definition -Wredundant-decls -Wvla
ALL_CFLAGS = -std=c99 -fPIC $(WARNINGS) $(CFLAGS) -I$(LUA_INCDIR)

ifeq ($(shell uname -s),Darwin)
SHARED = -bundle -undefined dynamic_lookup
else
SHARED = -shared
endif

SOURCES = $(sort $(wildcard csrc/*.c))
HEADERS = $(wildcard csrc/*.h)
OBJECTS = $(SOURCES:csrc/%.c=build/obj/%.o)
CORE = build/cpromise/core.so
RELEASE_CORE = build/release/$(LUA_VERSION)/cpromise/core.so
BENCH_CORE = build/bench/cpromise/core.so
SUPPORT = $(patsubst spec/support/%.c,build/support/%.so,\
  $(wildcard spec/support/*.c))

# The library from this tree, before any that is installed.
ENV = LUA_PATH_5_4='lua/?.lua;lua/?/init.lua;./?.lua;;' \
  LUA_CPATH_5_4='build/?.so;;'

all: $(CORE)

help:
	@sed -n '2,/^$$/s/^# \{0,1\}//p' Makefile

$(CORE): $(OBJECTS)
	@mkdir -p $(@D)
	$(CC) $(SHARED) $(CFLAGS) $(LDFLAGS) -o $@ $(OBJECTS)

build/obj/%.o: csrc/%.c $(HEADERS) Makefile
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

build/support/%.so: spec/support/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(SHARED) -o $@ $<

demo: deps
	@$(MAKE) --no-print-directory all
	@$(ENV) $(LUA) examples/linecount.lua $(if $(FOLDER),'$(FOLDER)')

test: test-deps
	@$(MAKE) --no-print-directory all support
ifeq ($(FILES),)
	@$(MAKE) --no-print-directory -j2 test-long test-others
else
	$(ENV) $(LUA) $(BUSTED) $(FILES)
endif

# Two processes, for two processors, which take about the same time. The spec
# of garbage comes first in its own: that of other specs would make it a minute
# longer, and hardly collected where it counts finalizers.
LONG_SPECS = spec/gc_spec.lua spec/memory_spec.lua spec/model_spec.lua \
  spec/depth_spec.lua spec/cancel_crowd_spec.lua \
  spec/random_order_spec.lua spec/cancel_depth_spec.lua
OTHER_SPECS = $(filter-out $(LONG_SPECS),\
  $(sort $(wildcard spec/*_spec.lua spec/*/*_spec.lua)))

test-long:
	@$(ENV) $(LUA) $(BUSTED) $(LONG_SPECS)

test-others:
	@$(ENV) $(LUA) $(BUSTED) $(OTHER_SPECS)

soak: all
	@for file in spec/soak/*.lua; do \
	  echo "$$file"; $(ENV) $(LUA) "$$file" $(SCALE) || exit 1; \
	done

# As LuaRocks builds it, whatever CFLAGS says: what is measured.
$(BENCH_CORE): $(SOURCES) $(HEADERS) Makefile
	@mkdir -p $(@D)
	$(CC) $(SHARED) -O2 -fPIC -DNDEBUG -I$(LUA_INCDIR) -o $@ $(SOURCES)

bench: bench-quick

bench-tiny bench-quick bench-full: bench-deps
	@$(LUA) bench/run.lua $(@:bench-%=%) '$(BENCH)'

bench-count bench-check bench-accept bench-growth: bench-deps
	@CC='$(CC)' $(LUA) bench/count.lua $(@:bench-%=%) '$(BENCH)'

bench-report: bench-deps
	@$(LUA) bench/run.lua report
	@CC='$(CC)' $(LUA) bench/report.lua '$(NOTE)'

bench-uv: bench-deps
	@$(ENV) LUA_CPATH_5_4='build/bench/?.so;;' \
	  NODE_PATH="$${NODE_PATH:-/usr/share/nodejs}" $(LUA) bench/uv/run.lua \
	  $(ROUNDS)

bench-deps:
	@test "$(DEPS)" != yes || CC='$(CC)' LUA='$(LUA)' .ci/deps bench
	@$(MAKE) --no-print-directory $(BENCH_CORE)

# What docs/debugging.md shows of examples/trace.lua
pictures: all
	$(ENV) $(LUA) examples/trace.lua build/timeline.json build/waiting.dot
	$(LUA) spec/support/draw_timeline.lua build/timeline.json >docs/timeline.svg
	dot -Tsvg -Grankdir=TB build/waiting.dot >docs/waiting.svg

docs:
	$(LUA) spec/tools/generated.lua

site:
	@rm -rf build/site
	@$(LUA) spec/tools/site.lua build/site

support: $(SUPPORT)

# JOBS at a time; MUTANTS='^queue' for those of such names
mutants: test-deps
	@$(MAKE) --no-print-directory all support
	@$(ENV) CC='$(CC)' LUA_INCDIR='$(LUA_INCDIR)' BUSTED='$(BUSTED)' \
	  JOBS='$(JOBS)' $(LUA) spec/mutants/run.lua '$(MUTANTS)'

check:
	.ci/check

$(RELEASE_CORE): $(SOURCES) $(HEADERS) Makefile
	@mkdir -p $(@D)
	$(CC) -std=c99 $(SHARED) $(CPPFLAGS) $(RELEASE_CFLAGS) -I$(LUA_INCDIR) \
	  $(LDFLAGS) -o $@ $(SOURCES)

install: $(RELEASE_CORE)
	@$(INSTALL_ENV) .ci/install install

uninstall:
	@$(INSTALL_ENV) .ci/install uninstall

INSTALL_ENV = CORE='$(RELEASE_CORE)' DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' \
  INSTALL_LMOD='$(INSTALL_LMOD)' INSTALL_CMOD='$(INSTALL_CMOD)' \
  INSTALL_DATA='$(INSTALL_DATA)' INSTALL_DOC='$(INSTALL_DOC)' \
  INSTALL_PC='$(INSTALL_PC)' LUA_VERSION='$(LUA_VERSION)' \
  VERSION='$(VERSION)'

amalgamation: build/amalgamation/cpromise.c

build/amalgamation/cpromise.c: $(SOURCES) $(HEADERS) csrc/amalgamate.lua
	@mkdir -p $(@D)
	$(LUA) csrc/amalgamate.lua $(SOURCES) >$@.new
	@mv $@.new $@

# The rockspec of the version in csrc/core.h
rockspec:
	sed -e 's/"scm-1"/"$(VERSION)-1"/' -e 's/branch = .*/dir = "$(RELEASE)",/' \
	  -e 's,url = "git.*,url = "$(RELEASES)/$(RELEASE).tar.gz"\,,' \
	  rockspec/cpromise-scm-1.rockspec >rockspec/$(RELEASE)-1.rockspec

RELEASE = cpromise-$(VERSION)
RELEASES = https://example.org/cpromise/releases

dist:
	@LUA_VERSION='$(LUA_VERSION)' .ci/dist

deps:
	@test "$(DEPS)" != yes || CC='$(CC)' LUA='$(LUA)' .ci/deps

test-deps:
	@test "$(DEPS)" != yes || CC='$(CC)' LUA='$(LUA)' .ci/deps test

clean:
	rm -rf build csrc/*.o cpromise lua/cpromise/*.so

.PHONY: all help demo test soak mutants support check docs site pictures \
  install uninstall amalgamation rockspec dist deps test-deps test-long \
  test-others clean \
  bench bench-tiny bench-quick bench-full bench-count bench-check \
  bench-accept bench-growth bench-report bench-uv bench-deps
