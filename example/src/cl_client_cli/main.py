"""The command line `cl-client` and its commands. A command's module is imported only when it is used."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, Final, Literal, cast

from cyclopts import App, CycloptsError, Group
from typing_extensions import override

from cl_client_cli.frame.exit_codes import EXIT_CODES_HELP, WRONG_USE
from cl_client_cli.frame.leading_options import (
    LeadingOption,
    LeadingOptions,
    list_shared_options,
    split_leading_options,
)
from cl_client_cli.frame.option_check import refuse_unknown_options
from cl_client_cli.frame.process_start import early_exit_code, early_interruption, show_any_name

if TYPE_CHECKING:
    from collections.abc import Sequence

_PLUGINS: Final = "cl_client_cli.tasks.commands"
_SERVER: Final = "cl_client_cli.server.commands"
_BASH_FILES: Final = {
    '$(compgen -f -- "${cur}")': "",
    "\ncomplete -F ": "\ncomplete -o bashdefault -o default -F ",
}
"""Parts of the bash script that Cyclopts generates, and their replacements."""

_COMMANDS: Final = {
    "Tasks": (
        (f"{_PLUGINS}:clip_embedding", "clip-embedding", "Embed images with CLIP."),
        (f"{_PLUGINS}:dino_embedding", "dino-embedding", "Embed images with DINOv2."),
        (f"{_PLUGINS}:exif", "exif", "Read the metadata of images."),
        (f"{_PLUGINS}:face_detection", "face-detection", "Find faces in images."),
        (f"{_PLUGINS}:face_embedding", "face-embedding", "Embed images of faces."),
        (f"{_PLUGINS}:hash_", "hash", "Hash files of any kind."),
        (f"{_PLUGINS}:hls_streaming", "hls-streaming", "Turn videos into HLS streams."),
        (f"{_PLUGINS}:image_conversion", "image-conversion", "Convert images to other formats."),
        (f"{_PLUGINS}:media_thumbnail", "media-thumbnail", "Make thumbnails of photos and videos."),
        (
            "cl_client_cli.tasks.other_task_commands:task_app",
            "task",
            "Run any task, also of another package.",
        ),
        ("cl_client_cli.similar.commands:similar", "similar", "Rank photos by similarity to a photo."),
    ),
    "Jobs": (
        ("cl_client_cli.batch.commands:batch_app", "batch", "Run many jobs as a batch that can be resumed."),
        ("cl_client_cli.jobs.commands:jobs_app", "jobs", "Manage the jobs submitted from this machine."),
        ("cl_client_cli.jobs.commands:download", "download", "Download the output files of a job."),
    ),
    "Server": (
        (f"{_SERVER}:health", "health", "Show the server's status and version."),
        (f"{_SERVER}:workers", "workers", "Show the workers and their state."),
        (f"{_SERVER}:admin_app", "admin", "Manage storage, cleanup and guest mode."),
        (f"{_SERVER}:login", "login", "Log in and save the token for later commands."),
        (f"{_SERVER}:logout", "logout", "Log out and delete the saved token."),
        (f"{_SERVER}:whoami", "whoami", "Show the user who is logged in."),
        (f"{_SERVER}:discover", "discover", "Find servers on the local network."),
        ("cl_client_cli.local.commands:server", "server", "Run a local compute server until Ctrl-C."),
    ),
    "Help": (
        ("cl_client_cli.local.commands:demo", "demo", "Try every task on a local server."),
        (f"{_SERVER}:doctor", "doctor", "Check the setup and suggest fixes."),
        ("cl_client_cli.settings.commands:config_app", "config", "Show and create settings."),
        ("cl_client_cli.plugin.commands:plugin_app", "plugin", "Create packages with tasks of their own."),
        ("cl_client_cli.local.models_commands:models_app", "models", "Manage the local server's models."),
    ),
}


class _App(App):
    """The application. Its bash completion also completes file names."""

    @override
    def generate_completion(
        self,
        *,
        prog_name: str | None = None,
        shell: Literal["zsh", "bash", "fish", "powershell"] | None = None,
    ) -> str:
        script = super().generate_completion(prog_name=prog_name, shell=shell)
        # Without suggestions, bash completes file names itself: folders end with a slash, spaces are escaped.
        for found, instead in _BASH_FILES.items():
            script = script.replace(found, instead)
        return script


def make_app(wanted: str | None = None, leading: Sequence[LeadingOption] = ()) -> App:
    """Build the application with all its commands.

    Args:
        wanted: The command that is about to run. Its full help is loaded; the others show a one-line summary
            and are not imported.
        leading: The options given before the command.

    Returns:
        The application.
    """
    app = _App(
        name="cl-client",
        help="Media compute jobs from the command line: hashes, metadata, faces, embeddings, thumbnails.\n\n"
        "Example: `cl-client media-thumbnail generate photos/ --output-dir thumbnails/ --local`\n\n"
        "The options on this page can be given before or after the command. If an option is given twice, the "
        "one after the command takes precedence.",
        help_epilogue=EXIT_CODES_HELP,
        version=lambda: f"cl-client {version('cl-client-cli')}",
        version_flags=["--version"],
        suppress_keyboard_interrupt=False,
        config=(refuse_unknown_options, LeadingOptions(leading)),
    )
    for position, (title, commands) in enumerate(_COMMANDS.items()):
        section = Group(title, sort_key=position)
        for import_path, name, summary in commands:
            app.command(import_path, name=name, help=None if name == wanted else summary, group=section)
    if wanted is None:  # the help page of a command lists its own options
        list_shared_options(app)
    app.register_install_completion_command(  # pyright: ignore[reportUnknownMemberType] - its keyword arguments are untyped
        add_to_startup=True
    )
    return app


def main() -> None:
    """Run the command that the process's arguments name, and exit with its exit code."""
    show_any_name()
    try:
        leading, words = split_leading_options(sys.argv[1:])
        app = make_app(next((word for word in words if not word.startswith("-")), None), leading)
        code = cast("object", app(words, result_action="return_value", exit_on_error=False))
    except CycloptsError:
        sys.exit(WRONG_USE)  # Cyclopts has printed the error
    except KeyboardInterrupt:
        sys.exit(early_interruption())
    except (ValueError, OSError) as exc:
        sys.exit(early_exit_code(exc))
    sys.exit(code if isinstance(code, int) else 0)
