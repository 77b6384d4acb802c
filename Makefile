# A thin front: Meson does the work.
BUILD ?= build

.PHONY: all deps test test-full demo demo-two-hosts check bench install clean

all: deps $(BUILD)/build.ninja
	@ninja -C $(BUILD) --quiet

deps:
	@tools/install-deps

$(BUILD)/build.ninja: | deps
	@meson setup $(BUILD) >/dev/null

test: all
	@tests/run $(if $(REQUIRE),--require $(REQUIRE)) $(BUILD)

test-full: all
	@tests/run --full $(if $(REQUIRE),--require $(REQUIRE)) $(BUILD)

demo: all
	@tools/demo $(BUILD)

demo-two-hosts: all
	@tools/demo-two-hosts $(BUILD)

check: deps
	@tools/install-deps --dev
	@tools/check

bench: all
	@bench/run $(BUILD)

install: all
	@meson install -C $(BUILD) --no-rebuild

clean:
	@rm -rf $(BUILD)
