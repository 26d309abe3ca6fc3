# For contributors, inside the virtual environment:
#   make types      the type checker over all packages
#   make picture    draw the README's picture from a real run
#   make docs       build the documentation site into build/site, warnings are errors
#   make constraints  write the versions of this environment into constraints.txt
#   make sums       what `videopath doctor` holds the bundled weights against; anew with new weights

.PHONY: types docs picture constraints sums

types:
	mypy -p videopath

picture:
	python docs/picture.py

sums:
	cd model/nano && sha256sum $$(find . -type f -name '*.json' -o -name '*.safetensors' | sed 's|^\./||' | sort) > sha256.txt

docs:
	mkdocs build --strict --quiet --site-dir build/site

constraints:
	@{ echo "# The versions that the tests ran with (Python 3.11): pip install -c constraints.txt …"; \
	   echo "# Made by \`make constraints\` in a fresh environment with the extra test."; \
	   python -m pip freeze --exclude-editable | sed 's/+cpu$$//'; } > constraints.txt.new
	mv constraints.txt.new constraints.txt
