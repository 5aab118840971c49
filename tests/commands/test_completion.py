"""`httpconc completion`, used by a real bash."""

import subprocess
import sys

import pytest

from pytest_httpconc import cli

COMPLETE = """
    eval "$("$0" -m pytest_httpconc completion bash)"
    function=$(complete -p httpconc); function=${function#*-F }; function=${function%% *}
    while read -r line; do
        COMP_WORDS=(httpconc $line); [[ $line = *, ]] && COMP_WORDS[-1]=""
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=()
        "$function" httpconc "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        echo "${COMPREPLY[@]}"
    done
"""

#: What is typed (a comma at the end begins a new word), and what it is completed to.
TYPED = {
    "se": "serve",
    "serve ,": "docker eval llm agent http",
    "serve docker --fa": "--fault",
    "serve llm --ttft 0.2 --max-n": "--max-num-seqs",
    "serve http --scenario st": "storm.toml",
    "replay st": "storm.toml",
    "completion z": "zsh",
}


def test_bash_completes_commands_services_options_and_files(tmp_path):
    (tmp_path / "storm.toml").touch()
    lines = "".join(f"{line}\n" for line in TYPED)
    bash = ["bash", "-c", COMPLETE, sys.executable]
    done = subprocess.run(bash, input=lines, cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr == ""
    assert dict(zip(TYPED, done.stdout.splitlines(), strict=True)) == TYPED


@pytest.mark.parametrize("shell", ["bash", "fish", "tcsh", "zsh"])
def test_every_shell_that_is_offered_has_a_script(capsys, shell):
    assert cli.main(["completion", shell]) == 0
    assert "serve" in capsys.readouterr().out
