using Google.Protobuf;
using Google.Protobuf.Reflection;

namespace SignSvc.Grpc.Reflection;

/// <summary>The files behind the mapped services, by name and by the symbols they declare.</summary>
internal sealed class DescriptorIndex
{
    private readonly Dictionary<string, FileDescriptor> _files = new(StringComparer.Ordinal);
    private readonly Dictionary<string, FileDescriptor> _symbols = new(StringComparer.Ordinal);
    private readonly HashSet<string> _messages = new(StringComparer.Ordinal);

    public DescriptorIndex(IReadOnlyCollection<ServiceDescriptor> services)
    {
        Services = services.Select(s => s.FullName).Order(StringComparer.Ordinal).ToArray();
        foreach (var service in services)
            AddFile(service.File);
    }

    public IReadOnlyList<string> Services { get; }

    public FileDescriptor? FileByName(string name) => _files.GetValueOrDefault(name);

    /// <summary>By the full name of a service, method, message, field, oneof, enum or enum value.</summary>
    public FileDescriptor? FileOf(string symbol) => _symbols.GetValueOrDefault(symbol);

    public bool HasMessage(string fullName) => _messages.Contains(fullName);

    /// <summary>The file, then everything it imports; empty if there is none.</summary>
    public static IReadOnlyList<ByteString> WithImports(FileDescriptor? file)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var files = new List<ByteString>();
        if (file is not null)
            Append(file);
        return files;

        void Append(FileDescriptor next)
        {
            if (!seen.Add(next.Name))
                return;
            files.Add(next.SerializedData);
            foreach (var import in next.Dependencies)
                Append(import);
        }
    }

    private void AddFile(FileDescriptor file)
    {
        if (!_files.TryAdd(file.Name, file))
            return;
        foreach (var service in file.Services)
        {
            _symbols.TryAdd(service.FullName, file);
            foreach (var method in service.Methods)
                _symbols.TryAdd(method.FullName, file);
        }

        foreach (var message in file.MessageTypes)
            AddMessage(message);
        foreach (var type in file.EnumTypes)
            AddEnum(type);
        foreach (var import in file.Dependencies)
            AddFile(import);
    }

    private void AddMessage(MessageDescriptor message)
    {
        _messages.Add(message.FullName);
        _symbols.TryAdd(message.FullName, message.File);
        foreach (var field in message.Fields.InDeclarationOrder())
            _symbols.TryAdd(field.FullName, message.File);
        foreach (var oneof in message.Oneofs)
            _symbols.TryAdd(oneof.FullName, message.File);
        foreach (var nested in message.NestedTypes)
            AddMessage(nested);
        foreach (var type in message.EnumTypes)
            AddEnum(type);
    }

    private void AddEnum(EnumDescriptor type)
    {
        _symbols.TryAdd(type.FullName, type.File);
        foreach (var value in type.Values)
            _symbols.TryAdd(value.FullName, type.File);
    }
}
