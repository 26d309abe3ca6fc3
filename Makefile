# For contributors, inside the virtual environment:
#   make types      the type checker over all packages
#   make picture    draw the README's picture from a real run
#   make sums       what `videopath doctor` holds the bundled weights against; anew with new weights

PACKAGES := core model knowledge tools agent app

.PHONY: types picture sums

types: build/links
	mypy $(addprefix -p videopath.,$(PACKAGES))

picture:
	python docs/picture.py

sums:
	cd model/nano && sha256sum $$(find . -type f -name '*.json' -o -name '*.safetensors' | sed 's|^\./||' | sort) > sha256.txt

# The type checker reads the folders under their import names.
build/links: Makefile
	mkdir -p $@/videopath
	for package in $(PACKAGES); do ln -sfn ../../../$$package $@/videopath/$$package; done
	touch $@
