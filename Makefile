# For contributors, inside the virtual environment:
#   make types      the type checker over all packages
#   make picture    draw the README's picture from a real run
#   make sums       what `videopath doctor` holds the bundled weights against; anew with new weights

.PHONY: types picture sums

types:
	mypy -p videopath

picture:
	python docs/picture.py

sums:
	cd model/nano && sha256sum $$(find . -type f -name '*.json' -o -name '*.safetensors' | sed 's|^\./||' | sort) > sha256.txt
