using System.CommandLine;

namespace SignSvc.Cli.Completion;

/// <summary><c>signsvc completion</c>: scripts that ask signsvc itself, by its directive <c>[suggest:position]</c>.</summary>
internal static class CompletionCommand
{
    /// <summary>The text that is completed leaves out the first word, which may be a path or an alias.</summary>
    private const string Bash =
        """
        # signsvc completion for bash:  source <(signsvc completion bash)
        _signsvc() {
          local line=${COMP_LINE:0:COMP_POINT} IFS=$'\n'
          line=${line#* }
          COMPREPLY=($(compgen -W "$("$1" "[suggest:${#line}]" "$line" 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}"))
        }
        complete -o default -F _signsvc signsvc
        """;

    private const string Zsh =
        """
        #compdef signsvc
        # signsvc completion for zsh:  source <(signsvc completion zsh)
        _signsvc() {
          local line="${(j: :)words[2,CURRENT]}"
          local -a found
          found=("${(@f)$("${words[1]}" "[suggest:${#line}]" "$line" 2>/dev/null)}")
          compadd -a found || _files
        }
        compdef _signsvc signsvc
        """;

    public static Command Create()
    {
        var shell = Parameters.Required("shell", "bash or zsh.");
        shell.AcceptOnlyFromAmong("bash", "zsh");
        var command = new Command("completion", "Prints a script that completes signsvc in a shell.") { shell };
        command.SetAction(parsed =>
        {
            Console.Out.WriteLine(parsed.GetRequiredValue(shell) is "bash" ? Bash : Zsh);
            return ExitCode.Ok;
        });
        return command;
    }
}
