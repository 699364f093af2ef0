using SignSvc.Cli.Output;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace SignSvc.Cli.Declared;

/// <summary>Where something stands in a file.</summary>
internal readonly record struct Place(string File, long Line, long Column)
{
    public CommandException Refuse(string message, string? next = null) =>
        CommandException.Usage($"{File}:{Line}:{Column}: {Remarks.Plain(message)}", next);
}

internal abstract record YamlNode(Place Place);

/// <param name="IsPlain">Without quotes: <c>true</c>, <c>7</c> and <c>null</c> are then not text.</param>
internal sealed record YamlScalar(Place Place, string Text, bool IsPlain) : YamlNode(Place)
{
    public bool IsNull => IsPlain && Text is "" or "~" or "null" or "Null" or "NULL";
}

internal sealed record YamlList(Place Place, IReadOnlyList<YamlNode> Items) : YamlNode(Place);

internal sealed record YamlMap(Place Place, IReadOnlyList<(YamlScalar Key, YamlNode Value)> Members) : YamlNode(Place);

/// <summary>
/// The documents of one YAML file, as they are written. Bounded: anchors, aliases and tags are refused (so nothing can
/// grow beyond the file), and so is nesting beyond <see cref="MaxDepth"/> and a member given twice.
/// </summary>
internal sealed class YamlTree
{
    private const int MaxDepth = 16;

    private readonly string _file;
    private readonly Parser _parser;

    private YamlTree(string file, TextReader text)
    {
        _file = file;
        _parser = new Parser(text);
    }

    /// <exception cref="CommandException"><see cref="ExitCode.Usage"/>, with line and column.</exception>
    public static IReadOnlyList<YamlMap> Read(string file, string text)
    {
        try
        {
            return new YamlTree(file, new StringReader(text)).ReadDocuments();
        }
        catch (YamlException e)
        {
            throw new Place(file, e.Start.Line, e.Start.Column).Refuse($"This is no YAML: {e.InnerException?.Message ?? e.Message}");
        }
    }

    private List<YamlMap> ReadDocuments()
    {
        var documents = new List<YamlMap>();
        _parser.Consume<StreamStart>();
        while (!_parser.Accept<StreamEnd>(out _))
        {
            _parser.Consume<DocumentStart>();
            var node = ReadNode(depth: 1);
            if (node is YamlMap map)
                documents.Add(map);
            else if (node is not YamlScalar { IsNull: true })
                throw node.Place.Refuse("A manifest is a mapping: apiVersion, kind, metadata, spec.");
            _parser.Consume<DocumentEnd>();
        }

        return documents;
    }

    private YamlNode ReadNode(int depth)
    {
        var next = _parser.Current ?? throw new Place(_file, 1, 1).Refuse("The file ends too early.");
        var place = PlaceOf(next);
        if (depth > MaxDepth)
            throw place.Refuse($"Manifests are nested at most {MaxDepth} levels deep.");
        if (next is AnchorAlias || next is NodeEvent { Anchor.IsEmpty: false })
            throw place.Refuse("Anchors and aliases (& and *) are not taken: write it out.");
        if (next is NodeEvent { Tag.IsEmpty: false })
            throw place.Refuse("Tags (!) are not taken.");
        if (_parser.TryConsume<Scalar>(out var scalar))
            return new YamlScalar(place, scalar.Value, scalar.Style == ScalarStyle.Plain);
        return _parser.TryConsume<SequenceStart>(out _) ? ReadList(place, depth) : ReadMap(place, depth);
    }

    private YamlList ReadList(Place place, int depth)
    {
        var items = new List<YamlNode>();
        while (!_parser.TryConsume<SequenceEnd>(out _))
            items.Add(ReadNode(depth + 1));
        return new YamlList(place, items);
    }

    private YamlMap ReadMap(Place place, int depth)
    {
        _parser.Consume<MappingStart>();
        var members = new List<(YamlScalar, YamlNode)>();
        var names = new HashSet<string>(StringComparer.Ordinal);
        while (!_parser.TryConsume<MappingEnd>(out _))
        {
            if (ReadNode(depth + 1) is not YamlScalar key)
                throw place.Refuse("A member's name is text.");
            if (!names.Add(key.Text))
                throw key.Place.Refuse($"The member {key.Text} is given twice.");
            members.Add((key, ReadNode(depth + 1)));
        }

        return new YamlMap(place, members);
    }

    private Place PlaceOf(ParsingEvent at) => new(_file, at.Start.Line, at.Start.Column);
}
