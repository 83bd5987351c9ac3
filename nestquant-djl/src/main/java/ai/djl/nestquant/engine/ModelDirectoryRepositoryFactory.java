package ai.djl.nestquant.engine;

import ai.djl.repository.LocalRepository;
import ai.djl.repository.Repository;
import ai.djl.repository.RepositoryFactory;
import ai.djl.repository.SimpleRepository;
import ai.djl.util.Utils;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Set;
import java.util.stream.Stream;

/**
 * Lets DJL find the text generation translator by itself for a HuggingFace model directory.
 *
 * <p>DJL chooses the translator before it looks at the model, from the arguments of the repository,
 * so the repository of such a directory has to name one. Every other {@code file:} location gets
 * the repository that DJL itself would make. Stateless and safe for concurrent use.
 */
public final class ModelDirectoryRepositoryFactory implements RepositoryFactory {

    private static final String TRANSLATOR_FACTORY = "translatorFactory";

    /** {@inheritDoc} */
    @Override
    public Set<String> getSupportedScheme() {
        return Set.of("file");
    }

    /** {@inheritDoc} */
    @Override
    public Repository newInstance(String name, URI uri) {
        Path path = Paths.get(filePath(uri));
        if (isHuggingFaceModel(path)) {
            return new ModelDirectory(name, uri, path);
        }
        if (holdsRepository(path)) {
            return new LocalRepository(name, path.toUri(), path) {};
        }
        return new SimpleRepository(name, uri, path) {};
    }

    private static String filePath(URI uri) {
        String path = uri.getPath() == null ? uri.getSchemeSpecificPart() : uri.getPath();
        boolean drive = path.matches("/[A-Za-z]:.*");
        return drive ? path.substring(1) : path;
    }

    private static boolean isHuggingFaceModel(Path path) {
        if (!Files.isDirectory(path)) {
            return false;
        }
        Path directory = Utils.getNestedModelDir(path);
        if (!Files.isRegularFile(directory.resolve("config.json"))
                || Files.exists(directory.resolve("serving.properties"))) {
            return false; // serving.properties names its own translator
        }
        try (Stream<Path> files = Files.list(directory)) {
            return files.anyMatch(file -> file.toString().endsWith(".safetensors"));
        } catch (IOException e) {
            throw new UncheckedIOException("cannot list " + directory, e);
        }
    }

    /** DJL's own rule: a metadata.json below the root makes a directory a repository. */
    private static boolean holdsRepository(Path root) {
        if (!Files.isDirectory(root)) {
            return false;
        }
        try (Stream<Path> files = Files.walk(root)) {
            return files.anyMatch(
                    file ->
                            file.endsWith("metadata.json")
                                    && !root.equals(file.getParent())
                                    && isMetadata(file));
        } catch (IOException e) {
            return false; // as DJL does: a directory that cannot be walked is a plain one
        }
    }

    private static boolean isMetadata(Path file) {
        try {
            String json = Files.readString(file);
            return json.contains("\"metadataVersion\"") && json.contains("\"artifacts\"");
        } catch (IOException e) {
            return false;
        }
    }

    private static final class ModelDirectory extends SimpleRepository {

        ModelDirectory(String name, URI uri, Path path) {
            super(name, uri, path);
            arguments.putIfAbsent(
                    TRANSLATOR_FACTORY, TextGenerationTranslatorFactory.class.getName());
        }
    }
}
