"""What everything else uses: errors, files, named random streams, command-line arguments. No audio, model or table."""
