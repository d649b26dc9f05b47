# Loads client.rb and the files of client.d as chef-client does, and prints the settings as JSON. In Chef the
# files are evaluated in Chef::Config, whose settings are methods of one argument.
#   client_rb.rb CLIENT.RB [FILE of client.d ...]
require "json"
class Config
  def initialize
    @set = {}
  end
  attr_reader :set

  def method_missing(name, *values)
    values.empty? ? @set[name] : @set[name] = values.first
  end

  def respond_to_missing?(*)
    true
  end
end
config = Config.new
ARGV.each { |file| config.instance_eval(File.read(file), file, 1) if File.exist?(file) }
puts JSON.generate(config.set)
