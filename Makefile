# cpromise: promises for Lua 5.4.
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
#   make install  install below PREFIX (/usr/local)
#   make deps     install what the above need and the machine lacks
#   make clean    remove what was built
#   make help     print this
#
# demo and test install what is missing first; DEPS=no leaves that out.

LUA ?= lua5.4
LUA_VERSION = 5.4
LUA_INCDIR ?= $(firstword $(wildcard /usr/include/lua5.4 \
  /usr/local/include/lua5.4 /opt/homebrew/include/lua5.4) /usr/include)
BUSTED ?= $(or $(shell command -v busted),/usr/bin/busted)
PREFIX ?= /usr/local
DEPS ?= yes
FOLDER ?=
FILES ?=
JOBS ?= 2
MUTANTS ?=
BENCH ?=
ROUNDS ?=
NOTE ?=

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
BENCH_CORE = build/bench/cpromise/core.so
SUPPORT = $(patsubst spec/support/%.c,build/support/%.so,\
  $(wildcard spec/support/*.c))
LUA_FILES = $(shell find lua -name '*.lua')

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

test: deps
	@$(MAKE) --no-print-directory all support
ifeq ($(FILES),)
	$(ENV) $(LUA) $(BUSTED) --exclude-pattern=gc_spec
	@# alone: collecting the garbage of all other specs takes a minute
	$(ENV) $(LUA) $(BUSTED) spec/gc_spec.lua
else
	$(ENV) $(LUA) $(BUSTED) $(FILES)
endif

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
	@$(ENV) LUA_CPATH_5_4='build/bench/?.so;;' $(LUA) bench/uv/run.lua \
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
	$(LUA) tools/generated.lua

site:
	@rm -rf build/site
	@$(LUA) tools/site.lua build/site

support: $(SUPPORT)

# JOBS at a time; MUTANTS='^queue' for those of such names
mutants: deps
	@$(MAKE) --no-print-directory all support
	@$(ENV) CC='$(CC)' LUA_INCDIR='$(LUA_INCDIR)' BUSTED='$(BUSTED)' \
	  JOBS='$(JOBS)' $(LUA) spec/mutants/run.lua '$(MUTANTS)'

check:
	.ci/check

install: all
	install -d $(PREFIX)/lib/lua/$(LUA_VERSION)/cpromise
	install -m 755 $(CORE) $(PREFIX)/lib/lua/$(LUA_VERSION)/cpromise/
	for f in $(LUA_FILES); do \
	  to=$(PREFIX)/share/lua/$(LUA_VERSION)/$${f#lua/}; \
	  install -d "$$(dirname "$$to")" && install -m 644 "$$f" "$$to" \
	    || exit 1; \
	done

deps:
	@test "$(DEPS)" != yes || CC='$(CC)' LUA='$(LUA)' .ci/deps

clean:
	rm -rf build csrc/*.o cpromise lua/cpromise/*.so

.PHONY: all help demo test soak mutants support check docs site pictures install \
  deps clean \
  bench bench-tiny bench-quick bench-full bench-count bench-check \
  bench-accept bench-growth bench-report bench-uv bench-deps
