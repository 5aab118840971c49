"""README begins with two commands, each one line to be copied; its code is run with that of the other pages."""


def test_there_are_just_two_commands(blocks):
    shell = [block.text for block in blocks if block.page == "README.md" and block.language == "sh"]
    assert [command.count("\n") for command in shell] == [1, 1]
